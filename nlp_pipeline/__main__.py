"""`python -m nlp_pipeline` is `nlp-pipeline`."""

from nlp_pipeline.cli import main

if __name__ == "__main__":
    main()
