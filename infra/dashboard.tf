# One page that answers: do members come in, do they move, are messages delivered, does anything wait or fail?

locals {
  rate = { for word in keys(local.extracted) : word => "sum(${join(" or ", [for one in local.ours : "rate(${local.named}_${word}_sum{${one}}[1m])"])})" }

  charts = [
    { title = "Members entering, a second", queries = { entered = local.rate["entered"] } },
    { title = "Hops a second, and members who end or leave", queries = { advanced = local.rate["advanced"], ended = local.rate["ended"], canceled = local.rate["canceled"] } },
    { title = "Deliveries a second", queries = { done = local.rate["done"], skipped = local.rate["skipped"], failed = local.rate["failed"], dead = local.rate["dead"] } },
    { title = "From cause to effect, seconds", queries = { for p in ["50", "95", "99"] : "p${p}" => "histogram_quantile(0.${p}, sum by (le) (${local.buckets["5m"].reaction_seconds}))" } },
    { title = "Invocations a second, by status", queries = { "" = "sum by (status) (${join(" or ", [for one in local.ours : "rate(${local.named}_lines{${one}}[1m])"])})" } },
    { title = "Share of messages that come back: 5xx by function, and what workers release", queries = merge({ "" = local.failing }, length(local.pulled) > 0 ? { workers = local.release } : {}) },
    { title = "Messages waiting, by subscription", queries = { "" = "max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id=~\"${local.subscriptions_pattern}\"})" } },
    { title = "Oldest message, seconds, by subscription", queries = { "" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{subscription_id=~\"${local.subscriptions_pattern}\"})" } },
    { title = "The sweep: taken up, stuck", queries = { requeued = local.rate["requeued"], stuck = local.rate["stuck"] } },
    { title = "The sweep: lag of the oldest, seconds", queries = { p99 = "histogram_quantile(0.99, sum by (le) (${local.buckets["5m"].sweep_lag_seconds}))" } },
    { title = "Waiting for a person: dead letters, rejected entries, members in error", queries = { dead_lettered = local.rate["dead_lettered"], rejected = local.rate["rejected"], error = local.rate["error"] } },
    { title = "Entries that the sink could not publish", queries = { "" = "sum(rate(logging_googleapis_com:exports_error_count{name=\"${google_logging_project_sink.journey_events.name}\"}[5m]))" } },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "Sojourn ${var.prefix}"
    mosaicLayout = {
      columns = 12
      tiles = [
        for index, chart in local.charts : {
          xPos   = 6 * (index % 2)
          yPos   = 4 * floor(index / 2)
          width  = 6
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [
                for legend, query in chart.queries : {
                  plotType        = "LINE"
                  legendTemplate  = legend
                  timeSeriesQuery = { prometheusQuery = query }
                }
              ]
            }
          }
        }
      ]
    }
  })
}
