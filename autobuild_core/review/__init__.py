"""The certificate: claims as records, the report as one value and one offline page, and its check."""
