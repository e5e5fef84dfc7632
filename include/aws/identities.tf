# One IAM policy a template, one role an identity. identities.json says which identity has which policies.

locals {
  identities = {
    for name, policies in jsondecode(file("${path.module}/identities.json")) :
    name => var.kms_key_arn == null || name == "preflight" ? policies : concat(policies, ["kms"])
  }

  policies    = toset(flatten(values(local.identities)))
  roles       = length(var.trusted_principals) > 0 ? local.identities : {}
  attachments = merge([for name, policies in local.roles : { for policy in policies : "${name}/${policy}" => { identity = name, policy = policy } }]...)
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "${var.name}-${each.key}"
  policy = templatefile("${path.module}/policies/${each.key}.json", local.values)
  tags   = var.tags
}

resource "aws_iam_role" "identity" {
  for_each = local.roles

  name = "${var.name}-${each.key}"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.trusted_principals }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "identity" {
  for_each = local.attachments

  role       = aws_iam_role.identity[each.value.identity].name
  policy_arn = aws_iam_policy.this[each.value.policy].arn
}
