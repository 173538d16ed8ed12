# One image for web, workers, beat, migrations and the simulator; docker-compose.yml says which is which.
FROM python:3.11-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home orchard \
 && install --directory --owner=orchard /var/lib/simulator /var/lib/orchard-media

WORKDIR /srv/orchard
COPY requirements.lock .
RUN pip install --no-cache-dir uv==0.13.9 \
 && uv pip install --system --no-cache --require-hashes -r requirements.lock
COPY --chown=orchard . .
# Needs settings, so it gets throw-away ones; nothing connects.
RUN DATABASE_URL=postgresql://x/x REDIS_URL=redis://x DJANGO_SECRET_KEY=x ORCHARD_SECRET_KEYS=x \
    python manage.py collectstatic --no-input --verbosity 0

USER orchard
ENV PYTHONUNBUFFERED=1 ORCHARD_JSON_LOGS=1
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "scrm.wsgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers", "--log-level", "warning"]
