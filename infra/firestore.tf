# The database: documents, the indexes that queries need, and no others. Both lists come from firestore_indexes.json.

resource "google_firestore_database" "this" {
  name                              = var.prefix
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  database_edition                  = "STANDARD"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.this]
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.this.name
  retention = "2419200s" # four weeks

  weekly_recurrence {
    day = "SUNDAY"
  }
}

locals {
  composite_indexes = {
    for index in local.indexes.composite_indexes :
    join("/", concat([index.collection], [for field in index.fields : field.path])) => index
  }
  indexed_fields = {
    for index in local.indexes.single_field_indexes : "${index.collection}/${index.path}" => index
  }
}

resource "google_firestore_index" "composite" {
  for_each = local.composite_indexes

  database    = google_firestore_database.this.name
  collection  = each.value.collection
  query_scope = "COLLECTION"

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.path
      order        = try(fields.value.order, null)
      array_config = try(fields.value.array_config, null)
    }
  }
}

# Every other single-field index is switched off: an index on a moment that grows is a hot spot at 500 writes a second.
resource "google_firestore_field" "unindexed" {
  for_each = toset(local.indexes.collections_without_other_indexes)

  database   = google_firestore_database.this.name
  collection = each.value
  field      = "*"

  index_config {}
}

resource "google_firestore_field" "indexed" {
  for_each = local.indexed_fields

  database   = google_firestore_database.this.name
  collection = each.value.collection
  field      = each.value.path

  index_config {
    indexes {
      order       = each.value.order
      query_scope = "COLLECTION"
    }
  }
}

# What is over goes away by itself, within a day or so of its time.
resource "google_firestore_field" "expiring" {
  for_each = local.indexes.time_to_live

  database   = google_firestore_database.this.name
  collection = each.key
  field      = each.value

  index_config {}
  ttl_config {}
}
