# What wakes somebody. Each alert is a query that is true when something is wrong, and a paragraph of runbook.md that says what to do.

locals {
  # A function's lines come from its service or from its workers, whoever drives it, and PromQL wants one kind of resource at a time.
  # How our log-based metrics are called there: `_sum` adds up the numbers of the lines.
  ours     = [for kind in ["revision", "worker_pool"] : "monitored_resource=\"cloud_run_${kind}\""]
  named    = "logging_googleapis_com:user_${local.series}"
  windows  = ["5m", "10m", "15m", "1h"]
  increase = { for window in local.windows : window => { for word in keys(local.extracted) : word => join(" or ", [for one in local.ours : "increase(${local.named}_${word}_sum{${one}}[${window}])"]) } }
  buckets  = { for window in local.windows : window => { for word in keys(local.extracted) : word => join(" or ", [for one in local.ours : "increase(${local.named}_${word}_bucket{${one}}[${window}])"]) } }
  refused  = join(" or ", [for one in local.ours : "increase(${local.named}_unavailable_sum{${one},function=~\"${join("|", keys(local.pulled))}\"}[10m])"])

  # Google charges for each condition, so one covers all functions; its series say which.
  services_pattern      = join("|", values(local.names))
  subscriptions_pattern = join("|", [for name in keys(local.functions) : local.names[name]])

  # In a quarter of an hour; 0 where nothing was counted, for nothing plus something is nothing in PromQL.
  lately = { for word, query in local.increase["15m"] : word => "(sum(${query}) or vector(0))" }

  # Over one refusal in a hundred, Pub/Sub begins to push more slowly, to everybody. Workers are not slowed; what they release counts.
  answers = "run_googleapis_com:request_count{service_name=~\"${local.services_pattern}\""
  failing = "sum by (service_name) (rate(${local.answers},response_code_class=\"5xx\"}[10m])) / sum by (service_name) (rate(${local.answers}}[10m]))"
  taken   = "sum(increase(pubsub_googleapis_com:subscription_ack_message_count{subscription_id=~\"${join("|", [for name in keys(local.pulled) : local.names[name]])}\"}[10m]))"
  release = "(sum(${local.refused}) or vector(0)) / ((sum(${local.refused}) or vector(0)) + (${local.taken} or vector(0)))"

  alerts = {
    dead_letters = {
      title    = "Messages that no function took"
      query    = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id=\"${google_pubsub_subscription.dead_letters.name}\"}) > 0 or sum(${local.increase["10m"].dead_lettered}) > 0"
      severity = "ERROR"
      minutes  = 10
    }
    stuck_members = {
      title    = "Members whom ten sweeps could not move"
      query    = "sum(${local.increase["1h"].stuck}) > 0 or sum(${local.increase["1h"].unreadable}) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    members_in_error = {
      title    = "Members who cannot go on"
      query    = "sum(${local.increase["10m"].error}) > 0"
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
      query    = "sum(${local.increase["15m"].system_failure}) > 0"
      severity = "ERROR"
      minutes  = 10
    }
    resting_channels = {
      title    = "A channel that fails was given a rest"
      query    = "sum(${local.increase["15m"].breaker_opened}) > 0"
      severity = "WARNING"
      minutes  = 0
    }
    paused_journeys = {
      title    = "A journey paused itself because too much failed"
      query    = "sum(${local.increase["15m"].journey_paused}) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    errors = {
      title    = "Invocations that fail as a bug does"
      query    = "sum(${join(" or ", [for one in local.ours : "increase(${local.named}_lines{${one},status=\"500\"}[5m])"])}) > 0"
      severity = "ERROR"
      minutes  = 0
    }
    rejected_entries = {
      title    = "Log entries of ours that cannot be taken"
      query    = "sum(${local.increase["15m"].rejected}) > 0"
      severity = "WARNING"
      minutes  = 0
    }
    no_sweep = {
      title    = "The minute sweep has not run for five minutes"
      query    = "(sum(${join(" or ", [for one in local.ours : "increase(${local.named}_lines{${one},function=\"sweep\"}[5m])"])}) or vector(0)) == 0"
      severity = "CRITICAL"
      minutes  = 0
    }
    sweep_lag = {
      title    = "What is due waits for more than five minutes"
      query    = "histogram_quantile(0.99, sum by (le) (${local.buckets["10m"].sweep_lag_seconds})) > 300"
      severity = "ERROR"
      minutes  = 10
    }
    slow_reaction = {
      title    = "A twentieth of the effects come a minute after their cause, or later"
      query    = "histogram_quantile(0.95, sum by (le) (${local.buckets["15m"].reaction_seconds})) > 60"
      severity = "WARNING"
      minutes  = 15
    }
    queue = {
      title    = "Messages to a function wait for more than five minutes"
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{subscription_id=~\"${local.subscriptions_pattern}\"}) > 300"
      severity = "ERROR"
      minutes  = 5
    }
    failing = {
      title    = "More than a hundredth of the messages to a function come back"
      query    = join(" or ", concat(["${local.failing} > 0.01"], length(local.pulled) > 0 ? ["${local.release} > 0.01"] : []))
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
