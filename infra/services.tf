# The APIs that the engine stands on. They stay on when an environment is torn down: another may need them.

resource "google_project_service" "this" {
  for_each = toset(concat(var.tracing ? ["cloudtrace.googleapis.com"] : [], [
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
  ]))

  service            = each.value
  disable_on_destroy = false
}

# Pub/Sub's own agent exists only once somebody has asked for it; dead letters are forwarded in its name.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta
  service  = google_project_service.this["pubsub.googleapis.com"].service
}
