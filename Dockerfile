# Serves an ONNX export without torch:
#   mtlkit export runs/mtl export --format onnx
#   docker build -t mtlkit-serve .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/export:/model:ro" -e MTLKIT_API_KEY=secret mtlkit-serve
FROM python:3.11-slim

COPY requirements-onnx.txt /tmp/
RUN pip install --no-cache-dir --no-compile -r /tmp/requirements-onnx.txt
COPY . /tmp/mtlkit
RUN pip install --no-cache-dir --no-compile --no-deps /tmp/mtlkit && rm -r /tmp/mtlkit

RUN useradd --create-home mtlkit
USER mtlkit
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
# exec form: the server itself gets SIGTERM, and finishes the requests that are under way
ENTRYPOINT ["mtlkit", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
