<?php

// After an import: returns when the worker has been told, the new prices follow at once.
Igor\Worker::send('catalog', [])->await();
echo "told\n";
