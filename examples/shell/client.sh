#!/usr/bin/env bash
# Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs bash, curl, openssl, jq and awk.
#
#     ./client.sh --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem
#
# Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).
set -euo pipefail

readonly SUCCESS=6018 BUSY=6014

# The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10^-score strangers reach a score:
# 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
readonly SURE=10

not_asked() {
  echo "$*" >&2
  exit 64
}

url='' customer='' image='' public_key='' user=demo-user password=demo-password threshold=7
ip=127.0.0.1 # your own registered address, not the endpoint's; any other is rejected with 5003
timeout=30   # seconds; the real matcher is slow: 30 to 60 are usual
retries=2
backoff=1 # seconds
while (($# > 0)); do
  (($# > 1)) || not_asked "$1 needs a value"
  case $1 in
    --url | --customer | --image | --public-key | --user | --password | --threshold | --ip | --timeout | --retries | --backoff)
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      ;;
    *) not_asked "unknown option $1" ;;
  esac
  shift 2
done
[[ $url && $customer ]] || not_asked '--url, --customer, --image and --public-key are needed'
for name in timeout backoff; do
  [[ ${!name} =~ ^[0-9]*\.?[0-9]+$ ]] || not_asked "--$name ${!name} is not a number"
done
[[ $retries =~ ^[0-9]+$ ]] || not_asked "--retries $retries is not a whole number"
[[ -r $image ]] || not_asked "cannot read the image '$image'"
openssl pkey -pubin -in "$public_key" -noout 2>/dev/null || not_asked "no public key in '$public_key'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A picture is too long for a command line, so it is passed in a file. -A: one line.
openssl base64 -A -in "$image" >"$work/image"

encrypted() {
  # printf, because echo adds a line break to the password. PKCS#1 v1.5 is pkeyutl's default, explicit here because OAEP is
  # answered with 5006. openssl base64 without -A breaks lines, and so does base64 without -w0.
  printf %s "$1" |
    openssl pkeyutl -encrypt -pubin -inkey "$public_key" -pkeyopt rsa_padding_mode:pkcs1 |
    openssl base64 -A
}

# Builds the body of one try.
request_body() {
  local user_id secret
  user_id=$(encrypted "$user") && secret=$(encrypted "$password") || return 1
  jq -cn --rawfile image "$work/image" --arg user_id "$user_id" --arg secret "$secret" \
    --arg transaction "$transaction" --arg threshold "$threshold" --arg ip "$ip" '{
      transactionId: $transaction,
      transactionSource: "shell",
      threshold: $threshold, # a string, as in the document'"'"'s sample; its table says number: both are accepted
      image: $image,
      user_id: $user_id,
      password: $secret,
      ip: $ip
    }'
}

# Sends one request. Writes the answer to $work/answer; without one, sets $words to the reason and $again to whether to retry.
# curl's own --retry would send the same ciphertext again and does not retry on 6014.
exchange() {
  local status
  again=yes
  if ! request_body >"$work/request"; then
    words='cannot encrypt' again=no
    return 1
  fi
  # --max-time covers the whole call; the default is none. Without "Expect:" some versions wait a second before large bodies.
  if ! status=$(curl --silent --show-error --max-time "$timeout" --output "$work/answer" --write-out '%{http_code}' \
    --header 'Content-Type: application/json' --header 'Accept: application/json' --header 'Expect:' \
    --data-binary "@$work/request" "$url/api/face-recognition/$customer/CALL_FN" 2>"$work/error"); then
    words=$(head -n 1 "$work/error")
    return 1
  fi
  # Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
  if [[ $status != 200 ]]; then
    words="HTTP status $status"
    [[ $status == 5?? ]] || again=no
    return 1
  fi
  if ! read_answer 2>"$work/error"; then
    words="bad JSON: $(head -n 1 "$work/error")"
    return 1
  fi
}

# Sets code and message from both answer shapes, and writes the candidates, best first, to $work/candidates.
read_answer() {
  # 5001 and 5005 are nested, the code a number; all others flat, the code a string. Some messages have surrounding spaces.
  jq -er '(if .error | type == "object" then .error else {errorCode, errorMessage: .error} end)
    | [.errorCode, .errorMessage]
    | if all(. != null) then . else error("not an answer of the endpoint") end
    | map(tostring | gsub("^\\s+|\\s+$"; "")) | @tsv' <"$work/answer" >"$work/outcome" || return 1
  IFS=$'\t' read -r code message <"$work/outcome"
  : >"$work/candidates"
  [[ $code == "$SUCCESS" ]] || return 0
  # JSON inside a string. 5004 has no "response", so it is read only after 6018.
  jq -r '.response | fromjson | .face.FACE_T5 | to_entries | sort_by(-.value)[]
    | [(.key | gsub("^\\s+|\\s+$"; "")), .value] | @tsv' <"$work/answer" >"$work/candidates" || return 1
}

# One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how you and
# the operator find out. Each try encrypts again, because the padding is random.
transaction=$(openssl rand -hex 10)
for ((attempt = 0; ; attempt++)); do
  if exchange; then
    answered=yes words="$code $message"
    # Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
    [[ $code == "$BUSY" ]] || break
  else
    answered=no
    [[ $again == yes ]] || break
  fi
  ((attempt < retries)) || break
  # Exponential backoff with jitter, so that many clients do not retry at the same time.
  pause=$(LC_ALL=C awk -v backoff="$backoff" -v attempt="$attempt" -v chance="$RANDOM" \
    'BEGIN { printf "%.2f", backoff * 2 ^ attempt * (0.5 + chance / 32768) }')
  echo "try $((attempt + 1)): $words; again in $pause s" >&2
  sleep "$pause"
done

if [[ $answered == no ]]; then
  printf '%s\nfailed\n' "$words"
  exit 2
fi
if [[ $code != "$SUCCESS" ]]; then
  printf '%s\t%s\nrefused\n' "$code" "$message"
  exit 1
fi
# LC_ALL=C, because an Indonesian locale prints a comma. Two nearly certain candidates are look-alikes, twins, or one person
# registered twice: a human decides.
LC_ALL=C awk -F '\t' -v OFS='\t' -v sure="$SURE" '
  { print $1, sprintf("%.2f", $2); certain += $2 >= sure }
  END { print NR == 0 ? "none" : certain == 1 ? "found" : "unsure" }' "$work/candidates"
