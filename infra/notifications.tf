# Who is told.

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = "Sojourn ${var.prefix}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}
