output "bucket" {
  description = "For s3.bucket of the settings."
  value       = aws_s3_bucket.backups.id
}

output "log_bucket" {
  description = "Where the access log is."
  value       = aws_s3_bucket.logs.id
}

output "policy_arns" {
  description = "ARN of each policy, by the name of its template."
  value       = { for name, policy in aws_iam_policy.this : name => policy.arn }
}

output "role_arns" {
  description = "ARN of each role, by its identity."
  value       = { for name, role in aws_iam_role.identity : name => role.arn }
}

output "airflow_connections" {
  description = "Value of AIRFLOW_CONN_COLLABHUNTS_S3_<IDENTITY> for each identity: the worker's own key assumes the role."
  value = {
    for name, role in aws_iam_role.identity :
    "AIRFLOW_CONN_COLLABHUNTS_S3_${upper(name)}" => jsonencode({
      conn_type = "aws"
      extra     = { role_arn = role.arn, region_name = aws_s3_bucket.backups.region }
    })
  }
}

output "settings" {
  description = "The section s3 of the settings that goes with all this, for include/config/collabhunts.yaml."
  value = yamlencode({
    s3 = {
      bucket         = var.bucket
      prefix         = var.prefix
      staging_prefix = var.staging_prefix
      sse            = local.sse
      kms_key_id     = var.kms_key_arn
      connections    = { for name, role in aws_iam_role.identity : name => "collabhunts_s3_${name}" }
    }
  })
}
