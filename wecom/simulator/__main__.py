"""`python -m wecom.simulator`: the simulator without Django."""

import argparse
import sys

from wecom.simulator import cli

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="wecom.simulator", description="A WeCom server for development and tests.")
    cli.add_arguments(parser)
    sys.exit(cli.run(vars(parser.parse_args())))
