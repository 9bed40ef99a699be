# Providers, and where the state is kept: `terraform init -backend-config="bucket=..."` names the bucket.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 7.0"
    }
  }

  backend "gcs" {
    prefix = "sojourn"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  default_labels = {
    app         = "sojourn"
    environment = var.prefix
  }
}

provider "google-beta" {
  project = var.project
  region  = var.region
}
