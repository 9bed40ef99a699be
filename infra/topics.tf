# Topics, and who may publish to them.

resource "google_pubsub_topic" "this" {
  # checkov:skip=CKV_GCP_83:Google's keys encrypt at rest; a key of one's own adds a way to lose every message
  for_each = local.table.topics

  name                       = "${var.prefix}-${each.key}"
  message_retention_duration = try(each.value.dead_letter, false) ? null : "86400s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "function" {
  for_each = local.publishes

  topic  = google_pubsub_topic.this[each.value.topic].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.function[each.value.function].member
}

# Pub/Sub itself forwards what was not acknowledged.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.this[local.dead_letter_topic].id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent

  depends_on = [google_project_service_identity.pubsub]
}
