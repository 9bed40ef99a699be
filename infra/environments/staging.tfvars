# An environment to try things in: it may be torn down, and shares the project's free tier.

project             = "tea-shop"
prefix              = "sojourn-staging"
deletion_protection = false

api_roles = {
  operator = ["ann@example.com", "ci@tea-shop.iam.gserviceaccount.com"]
}

# `mailbox` is the channel that send_message takes unless it names another: here a page that shows what would be sent.
channels = {
  mailbox = { kind = "webhook", url = "https://inbox.example.com/staging" }
}
