# What differs between environments. Everything that a function needs to know stands in functions.json.

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project's id, such as tea-shop-prod: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Where functions, database and jobs are."
  type        = string
  nullable    = false
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be one region of Cloud Run and Firestore, such as us-central1; a multi-region doubles the price."
  }
}

variable "prefix" {
  description = "What the name of every resource begins with. Several environments live in one project by different prefixes."
  type        = string
  nullable    = false
  default     = "sojourn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,14}[a-z0-9]$", var.prefix))
    error_message = "prefix must have 4 to 16 lower-case letters, digits and hyphens: names of service accounts grow from it."
  }
}

variable "drivers" {
  description = "Who drives a function where the environment differs from functions.json: function => push (Pub/Sub calls it) or pull (a worker pool)."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = alltrue([for name, driver in var.drivers : contains(keys(local.functions), name) && contains(["push", "pull"], driver)])
    error_message = "drivers must map functions that a topic feeds (${join(", ", keys(local.functions))}) to push or pull, such as { run_journey = \"pull\" }."
  }
}

variable "worker_images" {
  description = "Image of each function that is pulled, as built by worker_image.yaml; the output worker_images names the ones of the present archives."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = length(setsubtract(keys(local.pulled), keys(var.worker_images))) == 0
    error_message = "worker_images must name an image for each function whose driver is pull; missing: ${join(", ", setsubtract(keys(local.pulled), keys(var.worker_images)))}. Runbook, \"Pull instead of push\"."
  }
  validation {
    condition     = alltrue([for image in values(var.worker_images) : can(regex("^[a-z0-9-]+-docker\\.pkg\\.dev/[^:@]+[:@].+$", image)) && !endswith(image, ":latest")])
    error_message = "worker_images must be images of Artifact Registry with a tag or digest, never latest: it would change under a running worker."
  }
}

variable "shards" {
  description = "Parts that the sweep's index is in, one for each 500 writes a second; more at any time, never fewer: the sweep looks into no others."
  type        = number
  nullable    = false
  default     = 8

  validation {
    condition     = var.shards == floor(var.shards) && var.shards >= 1 && var.shards <= 1024
    error_message = "shards must be a whole number from 1 to 1024."
  }
}

variable "api_roles" {
  description = "Who may call the REST API: e-mail addresses of people and service accounts, by role. viewer reads, author writes, operator lets journeys move."
  type = object({
    viewer   = optional(set(string), [])
    author   = optional(set(string), [])
    operator = optional(set(string), [])
  })
  nullable = false
  default  = {}

  validation {
    condition = alltrue([
      for address in setunion(var.api_roles.viewer, var.api_roles.author, var.api_roles.operator) :
      can(regex("^[^@:\\s]+@[^@:\\s]+$", address))
    ])
    error_message = "api_roles must hold plain e-mail addresses, such as ann@example.com: no user: or serviceAccount: before them, and never allUsers."
  }
}

variable "channels" {
  description = "Channels by name, as the setting SOJOURN_CHANNELS takes them. A header's secret is named by secret_env; its value comes from channel_secrets."
  type        = any
  nullable    = false
  default     = {}

  validation {
    condition     = can(keys(var.channels)) && alltrue([for channel in try(values(var.channels), []) : can(channel.kind)])
    error_message = "channels must be a map of objects by channel name, each with a kind, such as { mail = { kind = \"webhook\", url = \"https://...\" } }."
  }
}

variable "channel_secrets" {
  description = "Credentials of channels: environment variable => a secret that exists in Secret Manager, and its version."
  type = map(object({
    secret  = string
    version = string
  }))
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for name, secret in var.channel_secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[0-9]+$", secret.version))])
    error_message = "channel_secrets must map environment variables (MAIL_TOKEN) to a secret with a numbered version: latest would change under a running function."
  }
}

variable "exclude_from_default_bucket" {
  description = "Keep the entries that the sink takes out of the _Default log bucket: they are then billed as messages only, and cannot be read back."
  type        = bool
  nullable    = false
  default     = false
}

variable "deletion_protection" {
  description = "Keep the database when the environment is torn down."
  type        = bool
  nullable    = false
  default     = true
}

variable "alert_emails" {
  description = "Who is told when something needs a person."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "budget" {
  description = "Tell alert_emails when the project's month comes near this sum; null: no budget."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string, "USD")
  })
  default = null

  validation {
    condition     = var.budget == null ? true : var.budget.amount >= 1 && can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.budget.billing_account))
    error_message = "budget must have an amount of at least 1 and a billing_account such as 012345-6789AB-CDEF01."
  }
}

variable "tracing" {
  description = "Show every invocation as a span in Cloud Trace. Off, a member's trace is still in the log, by its id."
  type        = bool
  nullable    = false
  default     = false
}

variable "runbook" {
  description = "Where the people who are told can read runbook.md."
  type        = string
  nullable    = false
  default     = "infra/runbook.md"
}
