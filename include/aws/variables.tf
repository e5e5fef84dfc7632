variable "bucket" {
  description = "Name of the bucket, as s3.bucket of the settings has it."
  type        = string
  default     = "collabhunts-backups"
}

variable "prefix" {
  description = "Where backups lie, as s3.prefix of the settings has it; ends in a slash."
  type        = string
  default     = "backups/"

  validation {
    condition     = endswith(var.prefix, "/") && !startswith(var.prefix, "/")
    error_message = "The prefix ends in a slash and does not begin with one."
  }
}

variable "staging_prefix" {
  description = "Where fragments of a running backup lie, as s3.staging_prefix of the settings has it; ends in a slash."
  type        = string
  default     = "staging/"

  validation {
    condition     = endswith(var.staging_prefix, "/") && !startswith(var.staging_prefix, "/")
    error_message = "The staging prefix ends in a slash and does not begin with one."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key, with s3.sse aws:kms and the same ARN as s3.kms_key_id; null for SSE-S3 (AES256)."
  type        = string
  default     = null
}

variable "object_lock_days" {
  description = <<-EOT
    Default retention in mode GOVERNANCE, in days; 0 for none. It holds for everything in the bucket, staged fragments
    included: those are paid for so long after they were tidied up. Retention leaves a locked backup alone until its
    lock has ended, so that a value above the days of the shortest keep_* rule keeps more than the policy says.
  EOT
  type        = number
  default     = 0

  validation {
    condition     = var.object_lock_days >= 0 && floor(var.object_lock_days) == var.object_lock_days
    error_message = "Whole days, or 0."
  }
}

variable "lifecycle_days" {
  description = "As the section lifecycle of the settings has them; collabhunts_retention says what differs."
  type = object({
    incomplete_upload = optional(number, 2)
    staging           = optional(number, 1)
    noncurrent        = optional(number, 30)
    expired           = optional(number, 30)
  })
  default = {}
}

variable "access_log_days" {
  description = "How long the access log is kept, in days."
  type        = number
  default     = 400
}

variable "trusted_principals" {
  description = <<-EOT
    ARNs of who may assume the roles, as the role of the Airflow workers. Empty: no role is made, attach the policies to
    identities of your own (output policy_arns).
  EOT
  type        = list(string)
  default     = []
}

variable "name" {
  description = "What the names of roles and policies begin with."
  type        = string
  default     = "collabhunts-backups"
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
