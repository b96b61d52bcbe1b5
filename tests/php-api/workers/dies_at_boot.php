<?php

throw new DomainException('no database');
