# From the applications' logs to the first topic. The filter is the one that the local log router evaluates.

locals {
  sink_filter = file("${path.module}/journey_sink.filter")
}

resource "google_logging_project_sink" "journey_events" {
  name                   = "${var.prefix}-journey-events"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.this["journey-events"].id}"
  filter                 = local.sink_filter
  unique_writer_identity = true
}

resource "google_pubsub_topic_iam_member" "sink" {
  topic  = google_pubsub_topic.this["journey-events"].id
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.journey_events.writer_identity
}

resource "google_logging_project_exclusion" "journey_events" {
  count = var.exclude_from_default_bucket ? 1 : 0

  name        = "${var.prefix}-journey-events"
  description = "Taken by the sink; kept in no log bucket."
  filter      = local.sink_filter
}
