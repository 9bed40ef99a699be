# The minute tick. The jobs of schedule triggers are made by the engine, when a journey is published.

resource "google_cloud_scheduler_job" "tick" {
  name        = "${var.prefix}-tick"
  region      = var.region
  description = "Takes up what is due, stale or lost, every minute."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.this["journey-sweeps"].id
    data       = base64encode("{}") # Pub/Sub refuses a message without data
  }

  # The next minute brings the next tick.
  retry_config {
    retry_count = 1
  }

  depends_on = [google_project_service.this]
}
