<?php

// A worker that never gets ready.
this_function_is_not_there();
