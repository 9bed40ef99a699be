# An environment under sustained load: hops are pulled. ADR 013 says from which load on.

project = "tea-shop"
prefix  = "sojourn-busy"

drivers       = { run_journey = "pull" }
worker_images = { run_journey = "us-central1-docker.pkg.dev/tea-shop/sojourn-busy-workers/run_journey:0123456789abcdef" }
shards        = 32

api_roles = {
  operator = ["ann@example.com", "ci@tea-shop.iam.gserviceaccount.com"]
}
alert_emails = ["oncall@example.com"]
