# The project as an image: packages first, sources last, so that an edit of the sources rebuilds one small layer.
# How to build and run it: docs/container.md. No RUN --mount here, so that engines without BuildKit can build it too.
ARG BASE_IMAGE=python:3.12-slim-bookworm

# Python 3.11 or newer with venv, from the system's packages where the base has none (CUDA bases, for example).
FROM ${BASE_IMAGE} AS python
ARG APT_PACKAGES=""
RUN if [ -n "$APT_PACKAGES" ] || ! python3 -c "import ensurepip, venv" 2>/dev/null; then \
        apt-get update -qq \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            ca-certificates python3 python3-venv $APT_PACKAGES \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && python3 -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed in BASE_IMAGE')"

# Only what the project depends on: other edits of pyproject.toml leave the layer of packages as it is.
FROM python AS requirements
COPY pyproject.toml /requirements/
RUN python3 -c "import tomllib; print(*tomllib.load(open('/requirements/pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > /requirements/requirements.txt

FROM python
ARG PIP_INDEX_URL=""
ARG PIP_EXTRA_INDEX_URL=""
# certificates.pem is optional: authorities to trust while packages are fetched.
COPY constraints.txt certificates.pe[m] /build/
COPY --from=requirements /requirements/requirements.txt /build/
RUN for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do eval "[ -n \"\$$name\" ]" || unset "$name"; done \
    && if [ -s /build/certificates.pem ]; then export PIP_CERT=/build/certificates.pem; fi \
    && python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --progress-bar off --retries 5 \
        -c /build/constraints.txt -r /build/requirements.txt
RUN useradd --uid 10001 --no-log-init --create-home senm \
    && mkdir -p /app/results/runs /app/results/store \
    && chown senm:senm /app/results/runs /app/results/store

ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    USER=senm \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
COPY . /app/
USER senm
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "benchmarks.run"]
CMD ["--help"]
