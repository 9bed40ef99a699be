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
    condition     = alltrue([for name, function in local.functions : google_pubsub_subscription.function[name].name == "shop-test-${replace(name, "_", "-")}" && contains(keys(google_pubsub_topic.this), function.topic)])
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
    condition     = alltrue([for name in keys(local.functions) : contains(split("|", local.subscriptions_pattern), google_pubsub_subscription.function[name].name)]) && strcontains(local.alerts.queue.query, local.subscriptions_pattern)
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
    condition     = alltrue([for subscription in google_pubsub_subscription.function : length(subscription.dead_letter_policy) == 1 && length(subscription.retry_policy) == 1])
    error_message = "every subscription has a dead-letter policy and a retry policy"
  }
  assert {
    condition     = alltrue([for subscription in concat(values(google_pubsub_subscription.function), [google_pubsub_subscription.dead_letters]) : subscription.expiration_policy[0].ttl == ""])
    error_message = "no subscription expires"
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription_iam_member.dead_letters)) == toset(keys(google_pubsub_subscription.function)) && google_pubsub_topic_iam_member.dead_letters.role == "roles/pubsub.publisher"
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
    condition     = alltrue([for name, function in local.functions : google_cloudfunctions2_function.this[name].service_config[0].timeout_seconds <= google_pubsub_subscription.function[name].ack_deadline_seconds])
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

run "without_a_word_everything_is_pushed" {
  command = plan

  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.push)) == toset(keys(local.functions)) && alltrue([for subscription in google_pubsub_subscription.function : length(subscription.push_config) == 1])
    error_message = "Pub/Sub pushes to every function, and may invoke it"
  }
  assert {
    condition     = length(google_cloud_run_v2_worker_pool.this) + length(google_artifact_registry_repository.workers) + length(google_pubsub_subscription_iam_member.pull) == 0
    error_message = "no workers, no registry, nobody may pull"
  }
}

run "a_function_that_is_pulled" {
  command = apply # addresses and ids are known only then
  variables {
    drivers       = { run_journey = "pull", perform = "pull", sweep = "push" }
    worker_images = { run_journey = "us-central1-docker.pkg.dev/tea-shop/shop-test-workers/run_journey:1", perform = "us-central1-docker.pkg.dev/tea-shop/shop-test-workers/perform:1" }
    tracing       = true
    shards        = 32
  }

  assert {
    condition     = toset(keys(google_cloud_run_v2_worker_pool.this)) == toset(["run_journey", "perform"]) && length(google_artifact_registry_repository.workers) == 1
    error_message = "has workers, the others have none, and there is a registry for their images"
  }
  assert {
    condition     = alltrue([for name, subscription in google_pubsub_subscription.function : length(subscription.push_config) == (contains(["run_journey", "perform"], name) ? 0 : 1)])
    error_message = "is not pushed to, the others are"
  }
  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.push)) == toset(["ingest", "sweep", "enroll"])
    error_message = "nobody may invoke it"
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription.function)) == toset(keys(local.functions)) && alltrue([for subscription in google_pubsub_subscription.function : length(subscription.dead_letter_policy) == 1 && length(subscription.retry_policy) == 1 && subscription.expiration_policy[0].ttl == ""])
    error_message = "has dead letters, a retry policy and no expiry like the others"
  }
  assert {
    condition     = toset([for name, member in google_pubsub_subscription_iam_member.pull : "${name} ${member.subscription} ${member.role}"]) == toset(["run_journey shop-test-run-journey roles/pubsub.subscriber", "perform shop-test-perform roles/pubsub.subscriber"])
    error_message = "its workers may pull from its subscription, and from no other"
  }
  assert {
    condition     = alltrue([for name, pool in google_cloud_run_v2_worker_pool.this : pool.template[0].service_account == google_service_account.function[name].email && google_pubsub_subscription_iam_member.pull[name].member == google_service_account.function[name].member])
    error_message = "they work in the name of the function's own account"
  }
  assert {
    condition     = alltrue([for name, pool in google_cloud_run_v2_worker_pool.this : pool.name == "shop-test-${replace(name, "_", "-")}-worker" && pool.scaling[0].manual_instance_count >= 1 && strcontains(local.measured, "\"${pool.name}\"")])
    error_message = "there is at least one of them, and their lines are counted"
  }
  assert {
    condition     = toset([for env in google_cloud_run_v2_worker_pool.this["run_journey"].template[0].containers[0].env : "${env.name}=${env.value}" if env.name != "SOJOURN_CHANNELS"]) == toset(["GOOGLE_CLOUD_PROJECT=tea-shop", "SOJOURN_DATABASE=shop-test", "SOJOURN_LOCATION=us-central1", "SOJOURN_PREFIX=shop-test-", "SOJOURN_SHARDS=32", "SOJOURN_SUBSCRIPTION=run-journey", "SOJOURN_TRACING=google"])
    error_message = "they have the function's environment, and the name of its subscription"
  }
  assert {
    condition     = toset([for env in google_cloud_run_v2_worker_pool.this["perform"].template[0].containers[0].env : env.name]) == toset(["GOOGLE_CLOUD_PROJECT", "SOJOURN_DATABASE", "SOJOURN_LOCATION", "SOJOURN_PREFIX", "SOJOURN_SHARDS", "SOJOURN_SUBSCRIPTION", "SOJOURN_TRACING", "SOJOURN_CHANNELS", "MAIL_TOKEN"])
    error_message = "what delivers has its channels and their credentials"
  }
  assert {
    condition     = strcontains(local.alerts.failing.query, "subscription_id=~\"shop-test-perform|shop-test-run-journey\"") && strcontains(local.alerts.queue.query, "shop-test-run-journey")
    error_message = "somebody is told when its messages come back, or wait"
  }
}

run "a_worker_without_an_image" {
  command = plan
  variables { drivers = { run_journey = "pull" } }
  expect_failures = [var.worker_images]
}

run "an_image_that_moves" {
  command = plan
  variables { worker_images = { run_journey = "us-central1-docker.pkg.dev/tea-shop/shop-test-workers/run_journey:latest" } }
  expect_failures = [var.worker_images]
}

run "a_driver_of_something_else" {
  command = plan
  variables { drivers = { api = "push" } }
  expect_failures = [var.drivers]
}

run "a_driver_that_is_none" {
  command = plan
  variables { drivers = { ingest = "poll" } }
  expect_failures = [var.drivers]
}

run "half_a_shard" {
  command = plan
  variables { shards = 8.5 }
  expect_failures = [var.shards]
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
