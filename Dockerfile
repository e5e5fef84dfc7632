# Airflow of the release pinned in requirements.in (tests/unit/test_compose.py compares the two). slim: the full image
# brings a hundred providers whose pins would contend with ours; everything this package needs is in its own lock.
FROM apache/airflow:slim-3.3.2-python3.12

# pg_dump must never be older than the server it dumps, so the image carries the newest release, not Debian's.
# PGDG is where PostgreSQL publishes it; Debian's own postgresql-common knows its address and its key.
# The pgdg.list that the base image may bring names the same repository with another key file, which apt refuses.
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-common \
    && rm -f /etc/apt/sources.list.d/pgdg.list \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install --yes --no-install-recommends postgresql-client-18 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*

# pip refuses to run as root in this image; Airflow itself must not run as root either.
USER airflow

# Exactly the pins the tests ran with, plus Celery and FAB, each file checked against its hash. --no-deps: the lock
# is the whole closure. `pip check` fails the build if what the base image brings on top does not fit.
COPY --chown=airflow:0 requirements-image.txt /opt/airflow/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /opt/airflow/requirements-image.txt \
    && pip check

# Code is part of the image, so that every service runs the same version and a rollback is an image tag.
COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 dags /opt/airflow/dags
# Worker and scheduler import the providers once, before they fork a task: a small task costs half.
COPY --chown=airflow:0 config /opt/airflow/config

# Airflow puts dags/ and plugins/ on sys.path but not their parent, where include/ lives.
ENV PYTHONPATH=/opt/airflow
