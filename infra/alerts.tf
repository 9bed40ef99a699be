# What wakes somebody. Each alert is a query that is true when something is wrong, and a paragraph of runbook.md that says what to do.

locals {
  # How a log-based metric of ours is called in PromQL; `_sum` adds up the numbers of the lines.
  ours    = "monitored_resource=\"cloud_run_revision\""
  counted = { for word in keys(local.extracted) : word => "logging_googleapis_com:user_${local.series}_${word}_sum{${local.ours}}" }
  buckets = { for word, name in local.counted : word => replace(name, "_sum{", "_bucket{") }
  lines   = "logging_googleapis_com:user_${local.series}_lines"

  # Google charges for each condition, so one covers all functions; its series say which.
  services_pattern      = join("|", values(local.names))
  subscriptions_pattern = join("|", [for name in keys(local.functions) : "${local.names[name]}-push"])

  # In a quarter of an hour; 0 where nothing was counted, for nothing plus something is nothing in PromQL.
  lately = { for word, name in local.counted : word => "(sum(increase(${name}[15m])) or vector(0))" }

  alerts = {
    dead_letters = {
      title    = "Messages that no function took"
      query    = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id=\"${google_pubsub_subscription.dead_letters.name}\"}) > 0 or sum(increase(${local.counted["dead_lettered"]}[10m])) > 0"
      severity = "ERROR"
      minutes  = 10
    }
    stuck_members = {
      title    = "Members whom ten sweeps could not move"
      query    = "sum(increase(${local.counted["stuck"]}[1h])) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    members_in_error = {
      title    = "Members who cannot go on"
      query    = "sum(increase(${local.counted["error"]}[10m])) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    deliveries_failing = {
      title    = "A tenth of the deliveries fail"
      query    = "(${local.lately["failed"]} + ${local.lately["dead"]}) / (${local.lately["done"]} + ${local.lately["failed"]} + ${local.lately["dead"]}) > 0.1"
      severity = "ERROR"
      minutes  = 10
    }
    system_failures = {
      title    = "Effects wait for a fault of our own"
      query    = "sum(increase(${local.counted["system_failure"]}[15m])) > 0"
      severity = "ERROR"
      minutes  = 10
    }
    resting_channels = {
      title    = "A channel that fails was given a rest"
      query    = "sum(increase(${local.counted["breaker_opened"]}[15m])) > 0"
      severity = "WARNING"
      minutes  = 0
    }
    paused_journeys = {
      title    = "A journey paused itself because too much failed"
      query    = "sum(increase(${local.counted["journey_paused"]}[15m])) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    errors = {
      title    = "Invocations that fail as a bug does"
      query    = "sum(increase(${local.lines}{${local.ours},status=\"500\"}[5m])) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    rejected_entries = {
      title    = "Log entries of ours that cannot be taken"
      query    = "sum(increase(${local.counted["rejected"]}[15m])) > 0"
      severity = "WARNING"
      minutes  = 0
    }
    no_sweep = {
      title    = "The minute sweep has not run for five minutes"
      query    = "absent_over_time(${local.lines}{${local.ours},function=\"sweep\"}[5m])"
      severity = "CRITICAL"
      minutes  = 0
    }
    sweep_lag = {
      title    = "What is due waits for more than five minutes"
      query    = "histogram_quantile(0.99, sum by (le) (increase(${local.buckets["sweep_lag_seconds"]}[10m]))) > 300"
      severity = "ERROR"
      minutes  = 10
    }
    slow_reaction = {
      title    = "A twentieth of the effects come a minute after their cause, or later"
      query    = "histogram_quantile(0.95, sum by (le) (increase(${local.buckets["reaction_seconds"]}[15m]))) > 60"
      severity = "WARNING"
      minutes  = 15
    }
    queue = {
      title    = "Messages to a function wait for more than five minutes"
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{subscription_id=~\"${local.subscriptions_pattern}\"}) > 300"
      severity = "ERROR"
      minutes  = 5
    }
    # Over one refusal in a hundred, Pub/Sub begins to push more slowly, to everybody.
    failing = {
      title    = "More than a hundredth of the answers of a function are 5xx"
      query    = "sum by (service_name) (rate(run_googleapis_com:request_count{service_name=~\"${local.services_pattern}\",response_code_class=\"5xx\"}[10m])) / sum by (service_name) (rate(run_googleapis_com:request_count{service_name=~\"${local.services_pattern}\"}[10m])) > 0.01"
      severity = "ERROR"
      minutes  = 10
    }
    sink_errors = {
      title    = "Cloud Logging cannot publish log entries"
      query    = "sum(increase(logging_googleapis_com:exports_error_count{name=\"${google_logging_project_sink.journey_events.name}\"}[10m])) > 0"
      severity = "CRITICAL"
      minutes  = 0
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = "Sojourn ${var.prefix}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "${each.value.minutes * 60}s"
      evaluation_interval = "60s"

      # The metrics come into being with the first lines, after these alerts.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = "${each.value.title}. What to look at and what to do: ${var.runbook}#${replace(each.key, "_", "-")}"
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.summary, google_logging_metric.lines]
}
