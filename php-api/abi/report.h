// The document of igor_report(): what a generation's pools and the HTTP threads are and have done. Its members
// are described in docs/reference/report.md.
#pragma once

#include <string>

#include "php-api/abi/scopes.h"

namespace igor::api {

std::string report_of(const GenerationView& generation);

}  // namespace igor::api
