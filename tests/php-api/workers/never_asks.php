<?php

declare(strict_types=1);

// Never asks for a signal: waits for something else, until it is ended.
[$mine, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
fgets($mine);
