# tlsearch on a CPU. Build from the project's root: docker build -f docker/cpu.Dockerfile -t tlsearch .
# Run it from the folder above your photos, where studies and runs are kept beside them:
#   docker run -v "$PWD:/here" tlsearch init photos
#   docker run -v "$PWD:/here" tlsearch run studies/photos.toml
FROM python:3.12-slim

# A user of its own: nothing a study writes belongs to root.
RUN useradd --create-home tlsearch && mkdir /here && chown tlsearch /here
COPY --chown=tlsearch . /opt/tlsearch
RUN pip install --no-cache-dir uv
USER tlsearch
WORKDIR /opt/tlsearch
RUN uv sync --no-dev --group weights

ENV PATH="/opt/tlsearch/.venv/bin:$PATH" TLSEARCH_CACHE=/here/.tlsearch-cache
WORKDIR /here
ENTRYPOINT ["tlsearch"]
CMD ["--help"]
