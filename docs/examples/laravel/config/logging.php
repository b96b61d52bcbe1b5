<?php

// Laravel's log goes where PHP's goes: into the server's.
return ['default' => 'errorlog', 'channels' => ['errorlog' => ['driver' => 'errorlog']]];
