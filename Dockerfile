# docker build -t senticompare . && docker run --rm -v "$PWD/out:/work" senticompare quickstart
FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY senticompare senticompare
COPY nbs nbs
COPY suites suites
COPY data data
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt ".[offline]" \
    && useradd --create-home runner && mkdir /work && chown runner /work
USER runner
WORKDIR /work
ENTRYPOINT ["senticompare"]
CMD ["--help"]
