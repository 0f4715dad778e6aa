# syntax=docker/dockerfile:1
# One image for `motes serve`, `motes api` and `motes worker`; docs/operations.md tells how it is used.
#
#   docker build -t motes .
#
# Kernels are compiled here, for one kind of processor, so that no process has to wait for a compiler and all machines
# draw the same frames. x86-64-v3 is what has AVX2: Intel since 2013, AMD since 2015. Others: --build-arg CPU=x86-64, and
# --build-arg CPU=generic for ARM.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
ARG CPU=x86-64-v3
ENV NUMBA_CPU_NAME=${CPU} NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/opt/motes/kernels PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv --without-pip /opt/motes
# What Motes needs, in the tested versions: a layer that stays as long as they do.
COPY requirements.lock ./
RUN pip --python /opt/motes install --no-cache-dir --only-binary=:all: --requirement requirements.lock
COPY LICENSE README.md pyproject.toml ./
COPY ecs_core ecs_core
COPY plugins plugins
COPY services services
RUN pip --python /opt/motes install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/motes/bin/python -m ecs_core.warmup

FROM python:${PYTHON}-slim-bookworm
ARG CPU=x86-64-v3
LABEL org.opencontainers.image.title="Motes" \
    org.opencontainers.image.description="Audio-reactive particle videos as a service" \
    org.opencontainers.image.licenses="MIT"
# Decoders are sandboxed with libseccomp, which Debian's apt brings along; without it the build fails.
# The user cannot write what is installed; what it keeps is in /var/lib/motes.
RUN python -c "import ctypes; ctypes.CDLL('libseccomp.so.2')" \
    && useradd --system --uid 10001 --home-dir /var/lib/motes --create-home --shell /usr/sbin/nologin motes
COPY --from=build /opt/motes /opt/motes
ENV PATH=/opt/motes/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=${CPU} NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/opt/motes/kernels \
    MOTES_DATA=/var/lib/motes MOTES_HOST=0.0.0.0 MOTES_PORT=8000
USER 10001
WORKDIR /var/lib/motes
VOLUME /var/lib/motes
EXPOSE 8000
# Of the API; a container that runs a worker has its own (compose.yaml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/particles/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["motes"]
CMD ["serve"]
