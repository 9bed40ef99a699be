# Functions that are pulled: a pool of workers each, which take messages by the batch. `drivers` says which; ADR 013 says when.

resource "google_artifact_registry_repository" "workers" {
  # checkov:skip=CKV_GCP_84:the images hold this repository's own source; Google's keys encrypt at rest
  count = length(local.pulled) > 0 ? 1 : 0

  location      = var.region
  repository_id = "${var.prefix}-workers"
  description   = "Sojourn ${var.prefix}: images of workers"
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-to-go-back-to"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-the-rest"
    action = "DELETE"

    condition {
      older_than = "7776000s" # 90 days
    }
  }

  depends_on = [google_project_service.this]
}

# The same account, permissions and environment as the function's: which driver it has changes nothing that it may do.
resource "google_pubsub_subscription_iam_member" "pull" {
  for_each = local.pulled

  subscription = google_pubsub_subscription.function[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.function[each.key].member
}

resource "google_cloud_run_v2_worker_pool" "this" {
  for_each = local.pulled

  name        = local.workers[each.key]
  location    = var.region
  description = "Sojourn ${var.prefix}: ${each.key}, pulled"

  # It holds nothing. Protected, it would stand in the way of going back to push.
  deletion_protection = false

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = max(1, each.value.min_instances)
  }

  template {
    service_account = google_service_account.function[each.key].email

    containers {
      image = var.worker_images[each.key] # its entry point is the worker: worker_image.yaml

      resources {
        limits = {
          cpu    = tostring(each.value.cpu)
          memory = "${each.value.memory_mib}Mi"
        }
      }

      dynamic "env" {
        for_each = merge(local.environment, local.tracing, { SOJOURN_SUBSCRIPTION = replace(each.key, "_", "-") }, try(local.own_environment[each.key], {}))

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = contains(each.value.needs, "secrets") ? var.channel_secrets : {}

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_artifact_registry_repository.workers,
    google_project_service.this,
    google_pubsub_subscription_iam_member.pull,
    google_secret_manager_secret_iam_member.channel,
  ]
}
