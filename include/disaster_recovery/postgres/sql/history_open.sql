insert into public.backup_history
    (id, backup_type, status, file_name, s3_url, components_backed_up, backup_version, triggered_by, created_at)
values
    (%(id)s, %(backup_type)s, 'in_progress', %(file_name)s, %(s3_url)s, %(components)s, %(version)s, %(triggered_by)s, %(created_at)s)
