# The functions: archive, account, permissions, service. functions.json says what each needs; each has an account of its own.

locals {
  archives = { for name in keys(local.deployed) : name => "${path.module}/../build/${name}.zip" }
  api_url  = "https://${var.region}-${var.project}.cloudfunctions.net/${local.names["api"]}"

  environment = {
    GOOGLE_CLOUD_PROJECT = var.project
    SOJOURN_DATABASE     = google_firestore_database.this.name
    SOJOURN_LOCATION     = var.region
    SOJOURN_PREFIX       = "${var.prefix}-"
    SOJOURN_SHARDS       = tostring(var.shards)
  }
  tracing = var.tracing ? { SOJOURN_TRACING = "google" } : {}
  own_environment = {
    perform = { SOJOURN_CHANNELS = jsonencode(var.channels) }
    api = {
      SOJOURN_API_AUDIENCE = local.api_url
      SOJOURN_API_ROLES    = jsonencode(var.api_roles)
    }
  }
}

resource "google_storage_bucket" "archives" {
  # checkov:skip=CKV_GCP_62:the archives are this repository's own source; who deployed what is in Cloud Audit Logs already
  name                        = "${var.project}-${var.prefix}-archives"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 3
    }
  }
}

# The digest is in the name: only what changed is deployed, and the archive of an earlier release is still there to go back to.
resource "google_storage_bucket_object" "archive" {
  for_each = local.archives

  bucket = google_storage_bucket.archives.name
  name   = "${each.key}-${substr(filesha256(each.value), 0, 16)}.zip"
  source = each.value

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_service_account" "build" {
  account_id   = "${var.prefix}-build"
  display_name = "Sojourn ${var.prefix}: builds the functions"
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer"])

  project = var.project
  role    = each.value
  member  = google_service_account.build.member
}

# Cloud Run functions copies an archive into a bucket of its own before it builds.
resource "google_project_iam_member" "build_sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "only_sources_of_functions"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${local.project_number}-${var.region}\")"
  }
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.archives.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_service_account" "function" {
  for_each = local.deployed

  account_id   = local.names[each.key]
  display_name = "Sojourn ${var.prefix}: runs ${each.key}"
}

# Documents of this database alone.
resource "google_project_iam_member" "documents" {
  for_each = local.deployed

  project = var.project
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = "only_${replace(var.prefix, "-", "_")}"
    expression = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.this.name}\""
  }
}

# The jobs of schedule triggers. Cloud Scheduler has no permissions on a single job.
resource "google_project_iam_custom_role" "jobs" {
  role_id     = "${replace(var.prefix, "-", "_")}_jobs"
  title       = "Sojourn ${var.prefix}: keep jobs in step with journeys"
  permissions = [for verb in ["create", "delete", "enable", "get", "list", "pause", "update"] : "cloudscheduler.jobs.${verb}"]
}

resource "google_project_iam_member" "jobs" {
  for_each = { for name, function in local.deployed : name => function if contains(function.needs, "jobs") }

  project = var.project
  role    = google_project_iam_custom_role.jobs.id
  member  = google_service_account.function[each.key].member
}

# Cloud Trace has no permissions on anything smaller.
resource "google_project_iam_member" "traces" {
  for_each = { for name, function in local.deployed : name => function if var.tracing }

  project = var.project
  role    = "roles/cloudtrace.agent"
  member  = google_service_account.function[each.key].member
}

# A function that is pulled stays deployed: without an invoker and without instances it costs nothing, and to go back to push
# changes a subscription, not a build.
resource "google_cloudfunctions2_function" "this" {
  for_each = local.deployed

  name        = local.names[each.key]
  location    = var.region
  description = "Sojourn ${var.prefix}: ${each.key}"

  build_config {
    runtime         = local.table.runtime
    entry_point     = each.value.entry_point
    service_account = google_service_account.build.id

    source {
      storage_source {
        bucket = google_storage_bucket.archives.name
        object = google_storage_bucket_object.archive[each.key].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    available_cpu                    = tostring(each.value.cpu)
    available_memory                 = "${each.value.memory_mib}Mi"
    timeout_seconds                  = each.value.timeout_seconds
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = contains(keys(local.pulled), each.key) ? 0 : each.value.min_instances
    max_instance_count               = each.value.max_instances
    ingress_settings                 = contains(keys(local.services), each.key) ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true

    # gunicorn answers as many requests at once as Cloud Run sends.
    environment_variables = merge(local.environment, local.tracing, { THREADS = tostring(each.value.concurrency) }, try(local.own_environment[each.key], {}))

    dynamic "secret_environment_variables" {
      for_each = contains(each.value.needs, "secrets") ? var.channel_secrets : {}

      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  depends_on = [
    google_project_iam_member.build,
    google_project_iam_member.build_sources,
    google_project_service.this,
    google_secret_manager_secret_iam_member.channel,
    google_storage_bucket_iam_member.build,
  ]
}

# Pub/Sub calls the functions that are pushed to in the name of this account, and nobody else may.
resource "google_service_account" "push" {
  account_id   = "${var.prefix}-push"
  display_name = "Sojourn ${var.prefix}: pushes messages to functions"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = local.pushed

  location = var.region
  name     = google_cloudfunctions2_function.this[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

# The API checks roles itself; Cloud Run lets in only those who have one.
resource "google_cloud_run_v2_service_iam_member" "api" {
  for_each = setunion(var.api_roles.viewer, var.api_roles.author, var.api_roles.operator)

  location = var.region
  name     = google_cloudfunctions2_function.this["api"].name
  role     = "roles/run.invoker"
  member   = endswith(each.value, ".gserviceaccount.com") ? "serviceAccount:${each.value}" : "user:${each.value}"
}
