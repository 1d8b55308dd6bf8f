# The app for a team: docker build -t autobuild-studio . && docker run --init -p 127.0.0.1:8501:8501 -v studio:/data autobuild-studio
# --init: a process 1 that reaps workers. The app has no log-in: put it behind one before it listens to anybody else.
FROM python:3.11-slim

RUN useradd --create-home studio && mkdir /data && chown studio /data
WORKDIR /app
COPY requirements.txt .
# The extra index holds the CPU build of torch, a tenth of the size of the default one.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt
COPY app.py ./
COPY pages pages
COPY autobuild_core autobuild_core
COPY sample_data sample_data
COPY .streamlit .streamlit

USER studio
ENV AUTOBUILD_WORKSPACE=/data
VOLUME /data
EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health')"
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.headless", "true"]
