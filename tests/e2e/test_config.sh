# SPDX-License-Identifier: Apache-2.0
# ttt config: what it prints is what runs, mistakes have places, nothing is made.
. "$(dirname "$0")/lib.sh"

cd "$WORK" || exit 1
cat >good.yaml <<'EOF'
data: {train: nowhere}
model: {vocab: 64, layers: 1, width: 16, heads: 2, ffn_width: 8}
EOF
cat >bad.yaml <<'EOF'
data: {train: nowhere}
model:
  widht: 16
  heads: &h 5
optim:
  lr: .nan
EOF

name="show" expect_exit 0 "$TTT" config show good.yaml --set optim.lr=1e-3
cp out shown.yaml
expect_text "show: override" '^  lr: 0.001$' out
expect_text "show: memory" '^# *gradients .*' out
expect_text "show: parameters" '^# *parameters  *[1-9][0-9]*$' out
name="what show prints is a configuration" expect_exit 0 "$TTT" config show shown.yaml
equal "show of show" "$(grep -v '^#' shown.yaml)" "$(grep -v '^#' out)"
name="check" expect_exit 0 "$TTT" config check good.yaml

name="mistakes: exit 78" expect_exit 78 "$TTT" config check bad.yaml --set train.steps=x
expect_text "mistake: unknown key" 'bad.yaml:3:3: model.widht: .*did you mean model.width?'
expect_text "mistake: anchor" 'bad.yaml:4:10: expected no anchor'
expect_text "mistake: NaN" "bad.yaml:6:7: optim.lr: expected a number from 0 to 1000, found '.nan'"
expect_text "mistake: override" "\-\-set:1:13: train.steps: expected a whole number"
name="show: exit 78" expect_exit 78 "$TTT" config show bad.yaml
equal "show of mistakes prints nothing" "x$(cat out)" x

name="no file: exit 66" expect_exit 66 "$TTT" config check none.yaml
expect_text "no file: named" 'none.yaml'
name="a folder: exit 66" expect_exit 66 "$TTT" config check .
name="wrong word: exit 64" expect_exit 64 "$TTT" config shwo good.yaml
expect_text "wrong word: nearest" 'did you mean show?'
name="no file named: exit 64" expect_exit 64 "$TTT" config check
name="two files: exit 64" expect_exit 64 "$TTT" config check good.yaml bad.yaml
name="no word: exit 64" expect_exit 64 "$TTT" config
name="help" expect_exit 0 "$TTT" config --help
name="reference" expect_exit 0 "$TTT" config reference
equal "reference is config/README.md" "$(cat out)" "$(cat "$ROOT/config/README.md")"
equal "nothing was made" "$(ls | grep -v -e '^out$' -e '^err$' | tr '\n' ' ')" \
    "bad.yaml good.yaml shown.yaml "
finish
