# Every setting that collabhunts_preflight looks for in the live bucket; its hints name these resources.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  sse        = var.kms_key_arn == null ? "AES256" : "aws:kms"
  log_bucket = "${var.bucket}-logs"

  values = {
    partition      = data.aws_partition.current.partition
    account_id     = data.aws_caller_identity.current.account_id
    bucket         = var.bucket
    log_bucket     = local.log_bucket
    prefix         = var.prefix
    staging_prefix = var.staging_prefix
    sse            = local.sse
    kms_key_arn    = var.kms_key_arn == null ? "" : var.kms_key_arn
  }

  bucket_statements = concat(
    jsondecode(templatefile("${path.module}/policies/bucket.json", local.values)).Statement,
    [for statement in jsondecode(templatefile("${path.module}/policies/bucket-kms.json", local.values)).Statement :
    statement if var.kms_key_arn != null],
  )
}

resource "aws_s3_bucket" "backups" {
  bucket = var.bucket
  tags   = var.tags

  # Object Lock is on, and locks nothing by itself: see object_lock_days. It needs versioning, which is below.
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "backups" {
  bucket = aws_s3_bucket.backups.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "backups" {
  bucket = aws_s3_bucket.backups.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# A deleted backup leaves a delete marker and its last version, which goes by the lifecycle rule "noncurrent": whoever
# deletes by mistake, or with a stolen key, can be undone for so many days. No identity here may delete a version.
resource "aws_s3_bucket_versioning" "backups" {
  bucket = aws_s3_bucket.backups.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backups" {
  count  = var.object_lock_days > 0 ? 1 : 0
  bucket = aws_s3_bucket.backups.id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.object_lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.backups]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.sse
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "backups" {
  bucket = aws_s3_bucket.backups.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_statements })

  depends_on = [aws_s3_bucket_public_access_block.backups]
}

resource "aws_s3_bucket_logging" "backups" {
  bucket        = aws_s3_bucket.backups.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "${var.bucket}/"

  depends_on = [aws_s3_bucket_policy.logs]
}

# The rules of include/disaster_recovery/lifecycle.py, by the same ids: collabhunts_retention compares them every day.
# None removes a current backup by its age.
resource "aws_s3_bucket_lifecycle_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id

  rule {
    id     = "collabhunts-uploads-${var.prefix}"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.lifecycle_days.incomplete_upload
    }
  }

  rule {
    id     = "collabhunts-staging-${var.staging_prefix}"
    status = "Enabled"

    filter {
      prefix = var.staging_prefix
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.lifecycle_days.incomplete_upload
    }

    expiration {
      days = var.lifecycle_days.staging
    }

    noncurrent_version_expiration {
      noncurrent_days = var.lifecycle_days.staging
    }
  }

  rule {
    id     = "collabhunts-noncurrent-${var.prefix}"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    noncurrent_version_expiration {
      noncurrent_days = var.lifecycle_days.noncurrent
    }
  }

  rule {
    id     = "collabhunts-delete-markers-${var.prefix}"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "collabhunts-expired-${var.prefix}"
    status = "Enabled"

    filter {
      and {
        prefix = var.prefix
        tags = {
          expired = "true"
        }
      }
    }

    expiration {
      days = var.lifecycle_days.expired
    }
  }

  depends_on = [aws_s3_bucket_versioning.backups]
}
