#!/bin/sh
# Batch {{ batch }}: a command line for each of {{ candidates | length }} candidates. train.py is yours: it prints one line of JSON,
# the id it was given and its metrics. Then: loop FOLDER --tell results.jsonl
{%- for one in candidates %}
python train.py --arch {{ one.arch | text | shell }} --id {{ one.id }} >> results.jsonl
{%- endfor %}
