# Two stages: one that installs, one that runs as nobody in particular. Needs the package index and nothing else.
FROM python:3.11-slim AS installed
WORKDIR /router
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --require-hashes -r requirements.txt && /venv/bin/pip install "psycopg[binary]>=3.2"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home router && install -d -o router /router/var
WORKDIR /router
COPY --from=installed /venv /venv
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ROUTER_VAR_DIR=/router/var
USER router
EXPOSE 8801
# Answers under way get their time; whoever stops the container has to allow more (docker stop --timeout 40).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8801/healthz', timeout=2)"
CMD ["python", "-m", "router_site.web", "--host", "0.0.0.0", "--port", "8801"]
