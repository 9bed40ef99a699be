# The environment that the business depends on.

project = "tea-shop"
prefix  = "sojourn"

api_roles = {
  viewer   = ["support@example.com"]
  author   = ["marketing@example.com"]
  operator = ["ann@example.com", "ci@tea-shop.iam.gserviceaccount.com"]
}

channels = {
  mail = {
    kind    = "webhook"
    url     = "https://mail.example.com/send"
    headers = { Authorization = { secret_env = "MAIL_TOKEN", prefix = "Bearer " } }
  }
}
channel_secrets = {
  MAIL_TOKEN = { secret = "mail-token", version = "3" }
}

exclude_from_default_bucket = true
alert_emails                = ["oncall@example.com"]

budget = {
  billing_account = "012345-6789AB-CDEF01"
  amount          = 200
}
