# What must hold of every environment, checked without Google: names, permissions, nothing public, nothing that can be lost.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
  # Terraform's own checks want ids and addresses of the right form.
  mock_resource "google_service_account" {
    defaults = {
      id     = "projects/tea-shop/serviceAccounts/mocked@tea-shop.iam.gserviceaccount.com"
      email  = "mocked@tea-shop.iam.gserviceaccount.com"
      member = "serviceAccount:mocked@tea-shop.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_logging_project_sink" {
    defaults = { writer_identity = "serviceAccount:service-123456789@gcp-sa-logging.iam.gserviceaccount.com" }
  }
}

mock_provider "google-beta" {}

variables {
  project = "tea-shop"
  prefix  = "shop-test"
  api_roles = {
    viewer   = ["support@example.com"]
    operator = ["ci@tea-shop.iam.gserviceaccount.com"]
  }
  channel_secrets = { MAIL_TOKEN = { secret = "mail-token", version = "3" } }
  alert_emails    = ["oncall@example.com"]
}

run "every_function_of_the_table_is_whole" {
  command = plan

  assert {
    condition     = toset(keys(google_cloudfunctions2_function.this)) == toset(keys(local.deployed))
    error_message = "every function and service of functions.json is deployed, and nothing else"
  }
  assert {
    condition     = toset(keys(google_service_account.function)) == toset(keys(local.deployed))
    error_message = "each has an account of its own"
  }
  assert {
    condition     = alltrue([for name, function in local.functions : google_pubsub_subscription.push[name].name == "${local.names[name]}-push" && contains(keys(google_pubsub_topic.this), function.topic)])
    error_message = "each function that a topic feeds has its topic and its subscription"
  }
  assert {
    condition     = alltrue([for name in keys(local.deployed) : startswith(google_cloudfunctions2_function.this[name].name, "shop-test-")])
    error_message = "the name of every function begins with the prefix"
  }
  assert {
    condition     = alltrue([for topic in google_pubsub_topic.this : startswith(topic.name, "shop-test-")])
    error_message = "the name of every topic begins with the prefix"
  }
  assert {
    condition     = alltrue([for name in values(local.names) : contains(split("|", local.services_pattern), name)]) && strcontains(local.alerts.failing.query, local.services_pattern)
    error_message = "somebody is told when any of them fails"
  }
  assert {
    condition     = alltrue([for name in keys(local.functions) : contains(split("|", local.subscriptions_pattern), google_pubsub_subscription.push[name].name)]) && strcontains(local.alerts.queue.query, local.subscriptions_pattern)
    error_message = "and when the messages of any of them wait"
  }
  assert {
    condition     = toset(keys(google_monitoring_alert_policy.this)) == toset(keys(local.alerts))
    error_message = "every alert is deployed"
  }
  assert {
    condition     = google_firestore_database.this.name == "shop-test" && google_storage_bucket.archives.name == "tea-shop-shop-test-archives"
    error_message = "database and bucket are the environment's own"
  }
}

run "nothing_is_lost" {
  command = plan

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : length(subscription.dead_letter_policy) == 1 && length(subscription.retry_policy) == 1])
    error_message = "every push subscription has a dead-letter policy and a retry policy"
  }
  assert {
    condition     = alltrue([for subscription in concat(values(google_pubsub_subscription.push), [google_pubsub_subscription.dead_letters]) : subscription.expiration_policy[0].ttl == ""])
    error_message = "no subscription expires"
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription_iam_member.dead_letters)) == toset(keys(google_pubsub_subscription.push)) && google_pubsub_topic_iam_member.dead_letters.role == "roles/pubsub.publisher"
    error_message = "Pub/Sub's agent may forward the dead letters of every subscription"
  }
  assert {
    condition     = alltrue([for member in concat(values(google_pubsub_subscription_iam_member.dead_letters), [google_pubsub_topic_iam_member.dead_letters]) : member.member == "serviceAccount:service-123456789@gcp-sa-pubsub.iam.gserviceaccount.com"])
    error_message = "and it is Pub/Sub's agent of this project who may"
  }
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "the database cannot be deleted by mistake, and can be set back"
  }
  assert {
    condition     = google_logging_project_sink.journey_events.filter == file("journey_sink.filter") && google_logging_project_sink.journey_events.unique_writer_identity
    error_message = "the sink has the filter that the local log router reads, and an identity of its own"
  }
}

run "timeouts_nest" {
  command = plan

  assert {
    condition     = alltrue([for name, function in local.functions : google_cloudfunctions2_function.this[name].service_config[0].timeout_seconds <= google_pubsub_subscription.push[name].ack_deadline_seconds])
    error_message = "a function gives up before Pub/Sub delivers the message again"
  }
  assert {
    condition     = alltrue([for name, function in local.deployed : google_cloudfunctions2_function.this[name].service_config[0].max_instance_request_concurrency == tonumber(google_cloudfunctions2_function.this[name].service_config[0].environment_variables["THREADS"])])
    error_message = "gunicorn has a thread for each request that Cloud Run sends at once"
  }
}

run "nobody_is_invited_by_mistake" {
  command = apply # the accounts' addresses are known only then

  assert {
    condition     = alltrue([for member in concat(values(google_cloud_run_v2_service_iam_member.push), values(google_cloud_run_v2_service_iam_member.api)) : member.role == "roles/run.invoker" && !contains(["allUsers", "allAuthenticatedUsers"], member.member)])
    error_message = "no function can be called by everybody"
  }
  assert {
    condition     = toset([for member in google_cloud_run_v2_service_iam_member.api : member.member]) == toset(["user:support@example.com", "serviceAccount:ci@tea-shop.iam.gserviceaccount.com"])
    error_message = "the API is open to those with a role, people and accounts"
  }
  assert {
    condition     = alltrue([for name in keys(local.functions) : google_cloudfunctions2_function.this[name].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "functions that a topic feeds are reached from inside alone"
  }
  assert {
    condition     = toset([for name, member in google_secret_manager_secret_iam_member.channel : member.secret_id]) == toset(["mail-token"]) && toset(keys(google_secret_manager_secret_iam_member.channel)) == toset(["perform/MAIL_TOKEN"])
    error_message = "only the function that delivers reads the credentials of channels"
  }
  assert {
    condition     = google_storage_bucket.archives.public_access_prevention == "enforced" && google_storage_bucket.archives.uniform_bucket_level_access
    error_message = "the archives are nobody else's"
  }
}

run "an_environment_may_be_torn_down_where_it_says_so" {
  command = plan
  variables { deletion_protection = false }

  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_firestore_database.this.deletion_policy == "DELETE"
    error_message = "without deletion_protection the database goes with the rest"
  }
}

run "spans_are_written_only_where_tracing_is_on" {
  command = plan

  assert {
    condition     = length(google_project_iam_member.traces) == 0 && alltrue([for function in google_cloudfunctions2_function.this : !contains(keys(function.service_config[0].environment_variables), "SOJOURN_TRACING")])
    error_message = "off by default: no setting, no permission"
  }
}

run "tracing_reaches_every_function" {
  command = plan
  variables { tracing = true }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.service_config[0].environment_variables["SOJOURN_TRACING"] == "google"])
    error_message = "every function is told"
  }
  assert {
    condition     = toset(keys(google_project_iam_member.traces)) == toset(keys(local.deployed)) && alltrue([for member in google_project_iam_member.traces : member.role == "roles/cloudtrace.agent"])
    error_message = "and may write spans, nothing else"
  }
}

run "a_prefix_that_names_cannot_grow_from" {
  command = plan
  variables { prefix = "Far-Too-Long-For-An-Account" }
  expect_failures = [var.prefix]
}

run "everybody_as_an_operator" {
  command = plan
  variables { api_roles = { operator = ["allUsers"] } }
  expect_failures = [var.api_roles]
}

run "a_secret_whose_version_moves" {
  command = plan
  variables { channel_secrets = { MAIL_TOKEN = { secret = "mail-token", version = "latest" } } }
  expect_failures = [var.channel_secrets]
}

run "a_region_that_is_none" {
  command = plan
  variables { region = "europe" }
  expect_failures = [var.region]
}

run "a_budget_of_nothing" {
  command = plan
  variables { budget = { billing_account = "mine", amount = 0 } }
  expect_failures = [var.budget]
}

run "a_channel_without_a_kind" {
  command = plan
  variables { channels = { mail = { url = "https://mail.example.com" } } }
  expect_failures = [var.channels]
}
