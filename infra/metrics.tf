# Metrics from the one summary line that every invocation writes. Its fields stand in one file that the code reads too.

locals {
  summary    = jsondecode(file("${path.module}/../shared/sojourn/runtime/summary_line.json"))
  fields     = local.summary.fields
  series     = replace(var.prefix, "-", "_")
  by_service = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for name in values(local.names) : "\"${name}\""])})"
  by_pool    = "resource.type=\"cloud_run_worker_pool\" AND resource.labels.worker_pool_name=(${join(" OR ", [for name in values(local.workers) : "\"${name}\""])})"
  measured   = "labels.\"sojourn.engine\"=\"true\" AND ((${local.by_service}) OR (${local.by_pool}))"

  # A line counts what it did, so metrics add up the numbers in it; they are distributions, whose sums are the counts.
  extracted = merge(
    { for word, text in local.summary.outcomes : word => { path = "${local.fields.outcomes}.${word}", unit = "1", text = text } },
    { for word, text in local.summary.measures : word => { path = "${local.fields.measures}.${word}", unit = "s", text = text } },
    { duration_ms = { path = local.fields.duration_ms, unit = "ms", text = "how long an invocation took" } },
  )
}

resource "google_logging_metric" "summary" {
  for_each = local.extracted

  name            = "${local.series}_${each.key}"
  description     = each.value.text
  filter          = "${local.measured} AND jsonPayload.${each.value.path}>0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.path})"

  label_extractors = {
    function = "EXTRACT(jsonPayload.${local.fields.function})"
  }

  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "DISTRIBUTION"
    unit         = each.value.unit
    display_name = "Sojourn ${var.prefix}: ${each.value.text}"

    labels {
      key        = "function"
      value_type = "STRING"
    }
  }

  # From one to a million in steps of a half: enough for counts, milliseconds and seconds alike.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 34
      growth_factor      = 1.5
      scale              = 0.05
    }
  }
}

resource "google_logging_metric" "lines" {
  name        = "${local.series}_lines"
  description = "summary lines by function and status: one for each invocation"
  filter      = "${local.measured} AND jsonPayload.${local.fields.function}:*"

  label_extractors = {
    function = "EXTRACT(jsonPayload.${local.fields.function})"
    status   = "EXTRACT(jsonPayload.${local.fields.status})"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    labels {
      key        = "function"
      value_type = "STRING"
    }
    labels {
      key        = "status"
      value_type = "INT64"
    }
  }
}
