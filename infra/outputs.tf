# What the next step needs.

output "api_url" {
  description = "Address of the REST API, which is also the audience of its tokens."
  value       = local.api_url
}

output "exports" {
  description = "For the sojourn command: eval these lines, and it works on this environment."
  value       = join("\n", [for name, value in local.environment : "export ${name}=${value}"])
}

output "functions" {
  description = "Address of each function."
  value       = { for name, function in google_cloudfunctions2_function.this : name => function.service_config[0].uri }
}

output "sink_writer_identity" {
  description = "Whom Cloud Logging publishes as."
  value       = google_logging_project_sink.journey_events.writer_identity
}

output "worker_images" {
  description = "What the image of each function is called that is built from its present archive."
  value = {
    for name in keys(local.functions) :
    name => "${var.region}-docker.pkg.dev/${var.project}/${var.prefix}-workers/${name}:${substr(filesha256(local.archives[name]), 0, 16)}"
  }
}
