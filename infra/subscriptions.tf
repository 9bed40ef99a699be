# One subscription for each function that a topic feeds, and the one that holds dead letters.

# Who drives a function is a field of its subscription that changes in place: what waits in it waits for the other driver.
resource "google_pubsub_subscription" "function" {
  for_each = local.functions

  name                       = local.names[each.key]
  topic                      = google_pubsub_topic.this[each.value.topic].id
  ack_deadline_seconds       = each.value.ack_deadline_seconds
  message_retention_duration = "604800s" # a week of an outage

  # Without traffic for 31 days a subscription is deleted unless this is empty.
  expiration_policy {
    ttl = ""
  }

  dynamic "push_config" {
    for_each = contains(keys(local.pushed), each.key) ? [google_cloudfunctions2_function.this[each.key].service_config[0].uri] : []

    content {
      push_endpoint = push_config.value

      oidc_token {
        service_account_email = google_service_account.push.email
        audience              = push_config.value
      }
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.minimum_backoff_seconds}s"
    maximum_backoff = "${each.value.maximum_backoff_seconds}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.this[local.dead_letter_topic].id
    max_delivery_attempts = each.value.max_delivery_attempts
  }

  # A message that reached the limit before the agent may forward it would be lost to sight.
  depends_on = [google_pubsub_topic_iam_member.dead_letters, google_cloud_run_v2_service_iam_member.push]
}

# To forward a dead letter is to acknowledge it here.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = google_pubsub_subscription.function

  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent

  depends_on = [google_project_service_identity.pubsub]
}

# A topic without a subscription forgets. The minute sweep drains this one into the database.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.prefix}-${local.dead_letter_topic}-pull"
  topic                      = google_pubsub_topic.this[local.dead_letter_topic].id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the most there is

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription_iam_member" "drain" {
  for_each = { for name, function in local.deployed : name => function if contains(function.needs, "dead_letters") }

  subscription = google_pubsub_subscription.dead_letters.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.function[each.key].member
}
