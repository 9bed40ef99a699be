# The one table of topics and functions, and what follows from it. Names here are those of the table; resources add the prefix.

locals {
  table     = jsondecode(file("${path.module}/functions.json"))
  indexes   = jsondecode(file("${path.module}/firestore_indexes.json"))
  functions = local.table.functions
  services  = local.table.services
  deployed  = merge(local.functions, local.services)

  # Who drives a function: Pub/Sub, which pushes, or a worker, which pulls. The table says it, an environment may say otherwise.
  drivers = { for name, function in local.functions : name => try(var.drivers[name], function.driver, "push") }
  pushed  = { for name, function in local.functions : name => function if local.drivers[name] != "pull" }
  pulled  = { for name, function in local.functions : name => function if local.drivers[name] == "pull" }

  dead_letter_topic = one([for name, topic in local.table.topics : name if try(topic.dead_letter, false)])

  # run_journey is a name in Python, run-journey one in Google Cloud.
  names = { for name in keys(local.deployed) : name => "${var.prefix}-${replace(name, "_", "-")}" }

  workers = { for name in keys(local.functions) : name => "${local.names[name]}-worker" }

  publishes = merge([
    for name, function in local.deployed : {
      for topic in function.publishes : "${name}/${topic}" => { function = name, topic = topic }
    }
  ]...)

  project_number = data.google_project.this.number
  pubsub_agent   = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

data "google_project" "this" {
  project_id = var.project
}
