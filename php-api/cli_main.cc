// igor-php: the command line of this SAPI as a program of its own.
#include "caddy-plugin/bridge/igor.h"

int main(int argc, char** argv) {
  return igor_cli_main(argc, argv);
}
