FROM python:3.13-slim

RUN useradd --system --create-home --home-dir /srv/complex-stories complex-stories
WORKDIR /srv/complex-stories
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md ./
COPY src src
RUN pip install --no-cache-dir --no-deps --editable .

USER complex-stories
# The C library keeps what large uploads gave back, about 24 MiB for two workers; from this size on it gives it back (tests/drills/soak.py).
ENV MALLOC_MMAP_THRESHOLD_=262144
ENV COMPLEX_STORIES_DATA_DIR=/srv/complex-stories/var COMPLEX_STORIES_LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["complex-stories", "serve", "--host", "0.0.0.0", "--port", "8000"]
