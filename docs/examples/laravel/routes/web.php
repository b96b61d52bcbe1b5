<?php

use App\Reports;
use Illuminate\Support\Facades\Route;

Route::get('/here/{year}', fn(Reports $reports, int $year) => response()->json($reports->make($year)))->where('year', '\d+');
Route::get('/there/{year}', fn(int $year) => response()->json(Igor\Worker::send('reports', ['year' => $year])->await()))->where('year', '\d+');
