<?php

return ['paths' => [], 'compiled' => getenv('APP_STORAGE') . '/framework/views'];
