# Credentials of channels. Terraform never sees a value: the secrets exist already, functions read them at start.

resource "google_secret_manager_secret_iam_member" "channel" {
  for_each = merge([
    for name, function in local.deployed : {
      for variable, secret in var.channel_secrets : "${name}/${variable}" => { function = name, secret = secret.secret }
    } if contains(function.needs, "secrets")
  ]...)

  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}
