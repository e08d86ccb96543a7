# tlsearch on a CPU. Build from the project's root: docker build -f docker/cpu.Dockerfile -t tlsearch .
# Run on your photos:  docker run -v "$PWD:/photos" tlsearch run studies/mine.toml
FROM python:3.12-slim

# A user of its own: nothing a study writes belongs to root.
RUN useradd --create-home tlsearch && mkdir /photos && chown tlsearch /photos
COPY --chown=tlsearch . /opt/tlsearch
RUN pip install --no-cache-dir uv
USER tlsearch
WORKDIR /opt/tlsearch
RUN uv sync --no-dev --group weights

ENV PATH="/opt/tlsearch/.venv/bin:$PATH" TLSEARCH_CACHE=/photos/.tlsearch-cache
WORKDIR /photos
ENTRYPOINT ["tlsearch"]
CMD ["--help"]
